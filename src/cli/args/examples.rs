//! What help says below the options. Lines of examples begin with two spaces: the manual tells them apart by that.

pub(super) const BUILD_EXAMPLES: &str = "\
Examples:
  larder build templates/debian-rootfs
  larder build -force -var version=1.2 -only='*.tarball' image.pkr.hcl
  larder build --ui=json --net offline image.pkr.hcl

Exit codes: 0 all built; 1 an error; 4 --net offline and something was not in the \
cache; 5 the image holds a trace of the proxy.";

pub(super) const EXEC_EXAMPLES: &str = "\
Everything after the first word of COMMAND belongs to it. The exit code is the \
command's own.

Examples:
  larder exec pip download requests
  larder exec -- packer build -only=qemu template.json";

pub(super) const VALIDATE_EXAMPLES: &str = "\
Examples:
  larder validate image.pkr.hcl
  larder validate -syntax-only -var-file=lab.pkrvars.hcl templates/debian-rootfs";

pub(super) const INSPECT_EXAMPLES: &str = "\
Example:
  larder inspect templates/debian-rootfs";

pub(super) const CACHE_EXAMPLES: &str = "\
Examples:
  larder cache stats
  larder cache ls numpy
  larder cache explain https://example.org/pool/x_1.0_all.deb
  larder cache pin --recursive https://example.org/pool/
  larder cache rm https://example.org/pool/x_1.0_all.deb
  larder cache gc --max-size 20G --max-age 90d --dry-run";

pub(super) const CLEANUP_EXAMPLES: &str = "\
Examples:
  larder ps
  larder cleanup --dry-run";

pub(super) const CONFIG_EXAMPLES: &str = "\
Examples:
  larder config
  larder config get cache_dir
  larder config trust";

pub(super) const COMPLETION_EXAMPLES: &str = "\
Examples:
  larder completion bash >/etc/bash_completion.d/larder
  larder completion zsh >~/.zfunc/_larder
  larder completion fish >~/.config/fish/completions/larder.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  larder man build | man -l -
  larder man --dir /usr/local/share/man/man1";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Exit codes: 0 builds work here (warnings are about what is less, or slower); 1 they \
do not.";
