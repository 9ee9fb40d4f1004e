//! Links the program with packed relocations where the C library of this machine reads them.

use std::env;
use std::process::Command;

/// The GNU C library reads packed relative relocations (`DT_RELR`) from this version on.
const READS_PACKED_RELOCATIONS: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=HEALTHIMAGING_PORTABLE");
    // The list of relocations of this program has more than a megabyte; packed, it has a few kilobytes, and start reads less.
    if is_native_gnu_linux()
        && env::var_os("HEALTHIMAGING_PORTABLE").is_none()
        && glibc() >= Some(READS_PACKED_RELOCATIONS)
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Built for the machine that builds, so that the version of its C library is the one that counts.
fn is_native_gnu_linux() -> bool {
    let target = env::var("TARGET").unwrap_or_default();
    target.ends_with("-linux-gnu") && env::var("HOST").is_ok_and(|host| host == target)
}

fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
