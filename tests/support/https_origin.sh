# Makes in this directory what https_origin.py needs: a CA (ca.pem) and a certificate of it for origin.test.
set -eu
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
  -days 2 -subj '/CN=The origins own CA' 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout origin.key -out origin.csr \
  -subj /CN=origin.test 2>/dev/null
printf 'subjectAltName=DNS:origin.test\nbasicConstraints=CA:FALSE\n' >ext
openssl x509 -req -in origin.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext \
  -out origin.pem 2>/dev/null
printf 'hello from the origin\n' >hello
