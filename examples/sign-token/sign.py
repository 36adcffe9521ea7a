"""Signs a Bobchat token with your site's own key:  python sign.py KEY.pem SUBJECT [NAME]"""
import sys, time
import jwt  # pip install -r requirements.txt

key_file, subject, *name = sys.argv[1:]
now = int(time.time())
claims = {"iss": "https://example.com", "aud": "bobchat", "sub": subject, "iat": now, "exp": now + 900}
if name:
    claims["name"] = name[0]
print(jwt.encode(claims, open(key_file).read(), algorithm="EdDSA"))
