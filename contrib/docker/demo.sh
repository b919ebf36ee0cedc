#!/bin/sh

# nginx in the container of the demo: its configuration from that of
# demo/run, with the directories of the image.

set -eu

umask 077

printf 'pk_sandbox\n' > /tmp/shop.key

sed -e 's|%%MODULE%%|modules/ngx_http_klaviyo_module.so|' \
    -e 's|%%USER%%||' \
    -e 's|%%QUEUE%%|/run/nginx-klaviyo/shop.ring|' \
    -e 's|%%DIR%%/spool|/var/spool/nginx-klaviyo/shop|' \
    -e 's|%%DIR%%/error.log|/dev/stderr|' \
    -e 's|%%DIR%%|/tmp|' \
    -e 's|%%SHOP%%|/demo/shop|' \
    -e 's|127.0.0.1:%%PORT%%|8080|' \
    -e 's|%%SANDBOX%%|http://127.0.0.1:8082|' \
    /demo/nginx.conf.in > /tmp/nginx.conf

# the sandbox's page, which listens inside only

cat > /tmp/sandbox.conf <<'END'
    server {
        listen 8081;
        location / {
            proxy_pass http://127.0.0.1:8082;
        }
    }
}
END

sed -i -e '$d' /tmp/nginx.conf
cat /tmp/sandbox.conf >> /tmp/nginx.conf

exec nginx -c /tmp/nginx.conf "$@"
