#!/bin/sh
# Make the secrets of compose.cluster.yaml in the folder `secrets`, once.
# Containers mount the files, so each user may read them; the folder is for its owner only.
set -eu
cd "$(dirname "$0")"
mkdir -m 700 secrets
cd secrets
for name in database-password secret-key admin-password; do
    openssl rand -base64 36 >"$name"
done
key=GK$(openssl rand -hex 12) secret=$(openssl rand -hex 32)
cat >objects.env <<END
AWS_ACCESS_KEY_ID=$key
AWS_SECRET_ACCESS_KEY=$secret
GARAGE_DEFAULT_ACCESS_KEY=$key
GARAGE_DEFAULT_SECRET_KEY=$secret
GARAGE_RPC_SECRET=$(openssl rand -hex 32)
END
chmod 444 database-password secret-key admin-password
echo "The password of the user admin: $(cat admin-password)"
