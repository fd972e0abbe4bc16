#!/bin/sh
# krb5.sh DIR KDC_PORT HTTP_PORT: a Kerberos realm TEST.EXAMPLE and Apache with mod_auth_gssapi, on loopback
# (Debian: krb5-kdc krb5-admin-server krb5-user apache2 libapache2-mod-auth-gssapi).
#   http://localhost:HTTP_PORT/   asks for Negotiate, serves DIR/www and /cgi (who it is, the length of the body)
#   alice@TEST.EXAMPLE            password s3cret; DIR/alice.ccache holds a ticket of hers
#   DIR/krb5.conf                 the client's configuration
set -eu
D=${1:?usage: krb5.sh DIR KDC_PORT HTTP_PORT} K=${2:?} P=${3:?}
mkdir -p "$D/www" "$D/run" "$D/lock" "$D/cgi"; D=$(cd "$D" && pwd)
cat > "$D/krb5.conf" <<C
[libdefaults]
  default_realm = TEST.EXAMPLE
  dns_lookup_realm = false
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  TEST.EXAMPLE = {
    kdc = 127.0.0.1:$K
  }
[domain_realm]
  localhost = TEST.EXAMPLE
C
cat > "$D/kdc.conf" <<C
[kdcdefaults]
  kdc_listen = 127.0.0.1:$K
  kdc_tcp_listen = 127.0.0.1:$K
[realms]
  TEST.EXAMPLE = {
    database_name = $D/principal
    acl_file = $D/kadm5.acl
    key_stash_file = $D/stash
    supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
  }
[logging]
  kdc = FILE:$D/kdc.log
C
export KRB5_CONFIG="$D/krb5.conf" KRB5_KDC_PROFILE="$D/kdc.conf"
kdb5_util create -s -r TEST.EXAMPLE -P master >/dev/null
kadmin.local -r TEST.EXAMPLE >/dev/null 2>"$D/kadmin.log" <<C
addprinc -pw s3cret alice
addprinc -randkey HTTP/localhost
ktadd -k $D/http.keytab HTTP/localhost
C
chmod 644 "$D/http.keytab"; chown -R www-data "$D/lock"
d=$D; while [ "$d" != / ]; do chmod a+x "$d"; d=$(dirname "$d"); done
printf 'hello\n' > "$D/www/hello.txt"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%%s %%s" "$REMOTE_USER" "$(wc -c)"\n' > "$D/cgi/who"; chmod 755 "$D/cgi/who"
M=/usr/lib/apache2/modules
{
  printf 'ServerName localhost\nPidFile %s/run/pid\nDefaultRuntimeDir %s/run\nMutex file:%s/lock default\nErrorLog %s/error.log\n' "$D" "$D" "$D" "$D"
  printf 'User www-data\nGroup www-data\nListen 127.0.0.1:%s\n' "$P"
  for m in mpm_event authn_core authz_core authz_user auth_gssapi alias dir mime cgid unixd; do [ ! -e $M/mod_$m.so ] || echo "LoadModule ${m}_module $M/mod_$m.so"; done
  cat <<C
TypesConfig /etc/mime.types
ScriptSock $D/run/cgisock
DocumentRoot $D/www
ScriptAlias /cgi/ $D/cgi/
<Location />
  AuthType GSSAPI
  AuthName "Kerberos"
  GssapiCredStore keytab:$D/http.keytab
  GssapiLocalName Off
  GssapiBasicAuth Off
  Require valid-user
</Location>
C
} > "$D/apache.conf"
krb5kdc -n -r TEST.EXAMPLE >"$D/krb5kdc.log" 2>&1 & kdc=$!
KRB5_CONFIG="$D/krb5.conf" apache2 -DFOREGROUND -d "$D" -f "$D/apache.conf" & web=$!
trap 'kill $kdc $web 2>/dev/null; wait' EXIT; trap 'exit 0' INT TERM
i=0; until printf 's3cret\n' | kinit -c "FILE:$D/alice.ccache" alice >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 50 ] || { echo "no ticket"; cat "$D/krb5kdc.log" "$D/kdc.log"; exit 1; }; sleep 0.1; done
touch "$D/ready"
wait
