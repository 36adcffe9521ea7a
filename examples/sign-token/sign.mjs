// Signs a Bobchat token with your site's own key:  node sign.mjs KEY.pem SUBJECT [NAME]
import { createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const [keyFile, sub, name] = process.argv.slice(2);
const now = Math.floor(Date.now() / 1000);
const claims = { iss: "https://example.com", aud: "bobchat", sub, name, iat: now, exp: now + 900 };
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
const signature = sign(null, Buffer.from(signed), createPrivateKey(readFileSync(keyFile)));
console.log(`${signed}.${signature.toString("base64url")}`);
