//! Compiles the C++ shim over `OpenJPH` and finds the library.

use std::process::ExitCode;

const MISSING: &str = "OpenJPH (the HTJ2K codec) was not found by pkg-config. Install it: \
    `apt-get install libopenjph-dev pkg-config` on Debian and Ubuntu, \
    `brew install openjph pkg-config` on macOS. \
    When it lives elsewhere, point PKG_CONFIG_PATH at the folder of its openjph.pc.";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=shim/openjph_shim.cpp");
    let library = match pkg_config::Config::new().probe("openjph") {
        Ok(library) => library,
        Err(error) => {
            println!("cargo::error={MISSING} (pkg-config said: {})", one_line(&error));
            return ExitCode::FAILURE;
        }
    };
    // Debian 12's openjph.pc names no library at all.
    if library.libs.is_empty() {
        println!("cargo::rustc-link-lib=openjph");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++14")
        .file("shim/openjph_shim.cpp")
        .includes(&library.include_paths)
        .opt_level(3)
        .compile("healthimaging_openjph_shim");
    ExitCode::SUCCESS
}

/// Cargo takes a directive to be one line.
fn one_line(error: &pkg_config::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
