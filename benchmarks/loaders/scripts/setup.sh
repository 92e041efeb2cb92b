#!/usr/bin/env bash
# Sets up the loaders' environments in .loaders or $ALEXNET_LOADERS: setup.sh PYTHON.
# One that cannot be set up does not hold up the others; it is named at the end.
set -uo pipefail
python=$1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
environments=${ALEXNET_LOADERS:-$(cd "$here/../../.." && pwd)/.loaders}
failed=()

create() {
    if command -v uv >/dev/null; then
        uv venv --quiet --seed --allow-existing --python "$python" "$1"
    else
        "$python" -m venv "$1"
    fi
}

site_packages() {
    "$environments/$1/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))'
}

# The packages of environment $2 are there in environment $1 as well: PyTorch is large.
share() {
    local from to
    [[ -f $environments/$2/.installed ]] || { echo "$1 needs $2" >&2 && return 1; }
    from=$(site_packages "$2") && to=$(site_packages "$1") && echo "$from" >"$to/$2.pth"
}

# set_up NAME "ENVIRONMENT TO SHARE" PIP-OPTIONS...
set_up() {
    local folder=$environments/$1 requirements=$here/requirements-$1.txt
    if [[ $folder/.installed -nt $requirements ]]; then return; fi
    echo "Installing into $folder, quietly"
    rm -f "$folder/.installed"
    create "$folder" &&
        { [[ -z $2 ]] || share "$1" "$2"; } &&
        "$folder/bin/python" -m pip install --quiet --retries 2 --disable-pip-version-check \
            --requirement "$requirements" "${@:3}" &&
        touch "$folder/.installed" ||
        failed+=("$1")
}

set_up torch ''
set_up ffcv torch
set_up dali ''
set_up grain ''
set_up mosaic torch --no-deps

if ((${#failed[@]})); then
    echo "Not set up: ${failed[*]}. The reason is above; what an environment needs" \
        "besides is said in benchmarks/loaders/scripts/requirements-NAME.txt." >&2
    exit 1
fi
