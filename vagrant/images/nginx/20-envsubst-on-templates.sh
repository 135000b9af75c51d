#!/bin/sh
# /etc/nginx/templates/*.template, with the environment's variables, becomes /etc/nginx/conf.d.
set -e
from=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
to=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
[ -d "$from" ] || exit 0
# Only what is set is replaced: nginx has variables of its own.
defined=$(awk "END { for (name in ENVIRON) { print (name ~ /${NGINX_ENVSUBST_FILTER:-}/) ? \"\${\" name \"}\" : \"\" } }" </dev/null)
find "$from" -follow -type f -name "*$suffix" | while read -r template; do
    output="$to/${template#"$from/"}"
    output=${output%"$suffix"}
    mkdir -p "$(dirname "$output")"
    envsubst "$defined" < "$template" > "$output"
done
