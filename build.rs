//! Links the program so that it is small and starts fast: with packed relocations where the C library of this machine reads
//! them, each function of the same code once, and the C++ runtime.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The GNU C library reads packed relative relocations (`DT_RELR`) from this version on.
const READS_PACKED_RELOCATIONS: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=HEALTHIMAGING_PORTABLE");
    let is_portable = env::var_os("HEALTHIMAGING_PORTABLE").is_some();
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release && !is_portable && is_linked_by_lld() {
        // Functions of the same code are kept once.
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        // Full RELRO, which .cargo/config.toml leaves to this line.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,relro,-z,now");
    }
    // The C++ runtime is part of the program, so that it need not be installed, or loaded at start.
    if is_release
        && is_native_gnu_linux()
        && !is_portable
        && let Some(folder) = runtime_of_cpp()
    {
        println!("cargo:rustc-link-search=native={}", folder.display());
        // What the compiler's own functions need, after the libraries that call them.
        println!("cargo:rustc-link-arg-bins=-lgcc");
    }
    // The list of relocations of this program has more than a megabyte; packed, it has a few kilobytes, and start reads less.
    if is_native_gnu_linux() && !is_portable && glibc() >= Some(READS_PACKED_RELOCATIONS) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Returns whether the program is linked by the lld of the toolchain. That is the default of rustc for this target, unless a
/// flag or the configuration of cargo names another linker, or the distributor of the toolchain left lld out.
fn is_linked_by_lld() -> bool {
    let target = env::var("TARGET").unwrap_or_default();
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_default = env::var_os("RUSTC_LINKER").is_none() && !flags.contains("link");
    if !is_default || target != "x86_64-unknown-linux-gnu" {
        return false;
    }
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().ok();
    let sysroot = sysroot.and_then(|output| String::from_utf8(output.stdout).ok());
    sysroot.is_some_and(|sysroot| {
        let tools = Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("bin");
        tools.join("gcc-ld/ld.lld").exists()
    })
}

/// Built for the machine that builds, so that the version of its C library is the one that counts.
fn is_native_gnu_linux() -> bool {
    let target = env::var("TARGET").unwrap_or_default();
    target.ends_with("-linux-gnu") && env::var("HOST").is_ok_and(|host| host == target)
}

/// A folder with the static libraries of the C++ compiler under the names by which the shared ones are asked for; `None` if the
/// compiler has none.
fn runtime_of_cpp() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("OUT_DIR")?).join("runtime");
    fs::create_dir_all(&folder).ok()?;
    for (library, name) in [("libstdc++.a", "libstdc++.a"), ("libgcc_eh.a", "libgcc_s.a")] {
        let output =
            Command::new("c++").arg(format!("-print-file-name={library}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        // A library that the compiler does not know is answered with its name alone.
        fs::copy(path.is_absolute().then_some(path)?, folder.join(name)).ok()?;
    }
    Some(folder)
}

fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
