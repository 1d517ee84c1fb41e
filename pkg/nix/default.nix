# Untested with nixpkgs, which needs the network. pkg/test builds it with Debian's nix and stand-ins for nixpkgs, which
# compile nothing: stand-ins.nix.
#
#   nix-build -E '(import <nixpkgs> { }).callPackage ./pkg/nix/default.nix { }'
{ lib, rustPlatform, symlinkJoin }:

let
  version = "0.2.0";
  src = lib.cleanSource ../..;
  meta = {
    description = "Service supervision, compatible with daemontools";
    license = with lib.licenses; [ mit asl20 ];
    platforms = [ "x86_64-linux" "aarch64-linux" ];
  };

  programs = rustPlatform.buildRustPackage {
    pname = "daemontools-rs-programs";
    inherit version src meta;
    cargoLock.lockFile = ../../Cargo.lock;
    cargoBuildFlags = [ "-p" "daemontools-tools" ];
    # The tests need the original and programs of Debian.
    doCheck = false;
    postInstall = ''
      $out/bin/daemontools install -s $out/bin
      for page in man/*; do
        install -D -m 644 "$page" "$out/share/man/man''${page##*.}/''${page##*/}"
      done
      for unit in system:daemontools-rs user:user; do
        install -D -m 644 pkg/systemd/''${unit#*:}.service \
          "$out/lib/systemd/''${unit%:*}/daemontools-rs.service"
        substituteInPlace "$out/lib/systemd/''${unit%:*}/daemontools-rs.service" \
          --replace-fail /usr/bin/svscan $out/bin/svscan --replace-fail PATH= PATH=$out/bin:
      done
    '';
  };

  svctl = rustPlatform.buildRustPackage {
    pname = "svctl";
    inherit version src meta;
    cargoRoot = "operator";
    buildAndTestSubdir = "operator";
    cargoLock.lockFile = ../../operator/Cargo.lock;
    cargoBuildFlags = [ "-p" "svctl" "-p" "svweb" ];
    doCheck = false;
    postInstall = ''
      mkdir -p $out/share/bash-completion/completions $out/share/zsh/site-functions \
        $out/share/fish/vendor_completions.d
      $out/bin/svctl completions bash >$out/share/bash-completion/completions/svctl
      $out/bin/svctl completions zsh >$out/share/zsh/site-functions/_svctl
      $out/bin/svctl completions fish >$out/share/fish/vendor_completions.d/svctl.fish
      install -D -m 644 -t $out/lib/systemd/system pkg/systemd/svweb.service pkg/systemd/svweb.socket
      substituteInPlace $out/lib/systemd/system/svweb.service --replace-fail /usr/bin/svweb $out/bin/svweb
    '';
  };
in
symlinkJoin {
  name = "daemontools-rs-${version}";
  paths = [ programs svctl ];
}
