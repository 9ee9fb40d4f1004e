//! Compiles the C++ shim over `OpenJPH` and links it with the library that `scripts/setup` built.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

/// The oldest release whose programming interface the shim fits.
const OLDEST: [u32; 2] = [0, 32];

const HELP: &str = "Run `make setup` (or `scripts/setup`) in the checkout: it builds OpenJPH into the \
    target folder. If it is installed elsewhere, set OPENJPH_DIR to the folder with its `include` \
    and `lib`.";

fn main() -> ExitCode {
    if env::var_os("CARGO_FEATURE_CODECS").is_none() {
        return ExitCode::SUCCESS;
    }
    println!("cargo::rerun-if-changed=shim/openjph_shim.cpp");
    println!("cargo::rerun-if-env-changed=OPENJPH_DIR");
    let place = match find() {
        Ok(place) => place,
        Err(problem) => {
            println!("cargo::error={problem}. {HELP}");
            return ExitCode::FAILURE;
        }
    };
    println!("cargo::rerun-if-changed={}", version_header(&place).display());
    println!("cargo::rerun-if-changed={}", place.join("lib/libopenjph.a").display());
    cc::Build::new()
        .cpp(true)
        .std("c++14")
        .file("shim/openjph_shim.cpp")
        .include(place.join("include"))
        .opt_level(3)
        .compile("healthimaging_openjph_shim");
    println!("cargo::rustc-link-search=native={}", place.join("lib").display());
    println!("cargo::rustc-link-lib=static=openjph");
    ExitCode::SUCCESS
}

/// The folder of the library, or what is wrong.
fn find() -> Result<PathBuf, String> {
    let place = if let Some(named) = env::var_os("OPENJPH_DIR") {
        PathBuf::from(named)
    } else {
        candidates()
            .find(|place| version_header(place).is_file())
            .ok_or("OpenJPH (the HTJ2K codec) is missing")?
    };
    let header = version_header(&place);
    let text = fs::read_to_string(&header)
        .map_err(|error| format!("OpenJPH is not in OPENJPH_DIR: {}: {error}", header.display()))?;
    let found = ["MAJOR", "MINOR"].map(|part| defined(&text, part));
    if found < OLDEST.map(Some) {
        let [major, minor] = OLDEST;
        return Err(format!("the OpenJPH in {} is older than {major}.{minor}", place.display()));
    }
    Ok(place)
}

/// `openjph` in the target folder: that of this build (named by any of its means), and that of the
/// checkout, for builds that have a target folder of their own.
fn candidates() -> impl Iterator<Item = PathBuf> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    let above: Vec<PathBuf> =
        out.ancestors().skip(1).take(6).map(|it| it.join("openjph")).collect();
    above.into_iter().chain([Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/openjph")])
}

fn version_header(place: &Path) -> PathBuf {
    place.join("include/openjph/ojph_version.h")
}

/// A part of the version in its header.
fn defined(header: &str, part: &str) -> Option<u32> {
    let name = format!("OPENJPH_VERSION_{part}");
    let mut words = header.split_whitespace().skip_while(|&word| word != name).skip(1);
    words.next()?.parse().ok()
}
