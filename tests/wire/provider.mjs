// A real OpenID Connect provider on loopback, in which every password is right.
//
// node provider.mjs FOLDER PORT REDIRECT_URI GROUPS: FOLDER has node_modules with oidc-provider;
// GROUPS is the JSON of a file with the groups of each user, which is read at each sign-in.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, port, redirectUri, groups] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/`));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "imagecatalog",
    client_secret: "the-long-secret-of-the-catalogue-there",
    redirect_uris: [redirectUri],
  }],
  claims: { openid: ["sub"], profile: ["preferred_username", "email"], groups: ["groups"] },
  scopes: ["openid", "profile", "groups"],
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => {
      const [name, listed] = JSON.parse(readFileSync(groups))[sub];
      return { sub, preferred_username: name, email: `${name}@example.org`, groups: listed };
    },
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
