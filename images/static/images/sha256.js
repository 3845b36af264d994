// Computes the SHA-256 (FIPS 180-4) of a file while it is read from the disk. The browser's own
// crypto.subtle needs a file in memory as a whole, and is missing on pages that came without TLS.
export const fileSHA256 = (() => {
  const BLOCK = 64; // bytes
  const PART = 2 ** 20; // bytes read at once, a multiple of BLOCK
  const words = new Int32Array(64); // of a block

  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (number) => ((number % 1) * 2 ** 32) | 0; // its first 32 bits
  const START = primes.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
  const ROUNDS = Int32Array.from(primes, (p) => fraction(Math.cbrt(p)));

  // Updates the state with blocks. Assignments of arrays would make it half as fast.
  function update(state, bytes) {
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += BLOCK) {
      for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
      for (let i = 16; i < 64; i += 1) {
        const x = words[i - 15];
        const y = words[i - 2];
        const low = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const high = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        words[i] = (words[i - 16] + low + words[i - 7] + high) | 0;
      }
      let a = state[0];
      let b = state[1];
      let c = state[2];
      let d = state[3];
      let e = state[4];
      let f = state[5];
      let g = state[6];
      let h = state[7];
      for (let i = 0; i < 64; i += 1) {
        const high = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        const one = (h + high + (g ^ (e & (f ^ g))) + ROUNDS[i] + words[i]) | 0;
        const low = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        const two = (low + ((a & b) | (c & (a | b)))) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + one) | 0;
        d = c;
        c = b;
        b = a;
        a = (one + two) | 0;
      }
      state[0] += a;
      state[1] += b;
      state[2] += c;
      state[3] += d;
      state[4] += e;
      state[5] += f;
      state[6] += g;
      state[7] += h;
    }
  }

  // The last blocks: the bytes that are left, the bit 1, zeros, the size of the file in bits.
  function padded(rest, size) {
    const bytes = new Uint8Array(Math.ceil((rest.length + 9) / BLOCK) * BLOCK);
    bytes.set(rest);
    bytes[rest.length] = 0x80;
    const view = new DataView(bytes.buffer);
    view.setUint32(bytes.length - 8, size / 2 ** 29);
    view.setUint32(bytes.length - 4, size * 8);
    return bytes;
  }

  // Returns the digest in hexadecimal. `progress` gets the number of bytes read; an AbortSignal
  // ends the computation with an AbortError.
  return async (file, signal, progress) => {
    const state = Int32Array.from(START);
    for (let at = 0; ; at += PART) {
      const part = new Uint8Array(await file.slice(at, at + PART).arrayBuffer());
      signal.throwIfAborted();
      progress(at + part.length);
      if (part.length < PART) {
        update(state, padded(part, at + part.length));
        return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
      }
      update(state, part);
    }
  };
})();
