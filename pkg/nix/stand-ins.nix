# Stand-ins for what default.nix takes from nixpkgs, so that pkg/test can build it without the network: the builder is
# this machine's bash, and "built" is a directory with the executables. The hooks run as those of nixpkgs do: in the
# root of the source, with its substituteInPlace.
{ built }:

let
  run = script: attributes: derivation ({
    system = builtins.currentSystem;
    builder = "/bin/bash";
    args = [ "-euc" script ];
    PATH = "/usr/bin:/bin";
  } // attributes);
in
{
  lib = {
    cleanSource = path: builtins.path { inherit path; name = "source"; };
    licenses = { mit = "MIT"; asl20 = "Apache-2.0"; };
  };

  rustPlatform.buildRustPackage =
    { pname, version, src, cargoLock, cargoBuildFlags, postInstall, cargoRoot ? ".", buildAndTestSubdir ? ".", ... }:
    run ''
      cp -R --no-preserve=mode "$src" source
      cd source
      cmp "$cargoRoot/Cargo.lock" "$lockFile"
      [ -f "$buildAndTestSubdir/Cargo.toml" ]
      for word in $cargoBuildFlags; do
        case $word in
        -p) ;;
        daemontools-tools) install -D -m 755 "$built/daemontools" "$out/bin/daemontools" ;;
        *) install -D -m 755 "$built/$word" "$out/bin/$word" ;;
        esac
      done
      substituteInPlace() {
        file=$1
        shift
        while [ $# -gt 0 ]; do
          [ "$1" = --replace-fail ]
          grep -qF -e "$2" "$file"
          sed -i "s|$2|$3|g" "$file"
          shift 3
        done
      }
      eval "$postInstall"
    '' {
      name = "${pname}-${version}";
      inherit src cargoBuildFlags postInstall cargoRoot buildAndTestSubdir built;
      inherit (cargoLock) lockFile;
    };

  symlinkJoin = { name, paths }: run ''
    for path in $paths; do
      mkdir -p "$out"
      cp -R -s -n "$path"/. "$out/"
    done
  '' { inherit name paths; };
}
