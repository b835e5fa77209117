//! Where the library is: DIFFEO_LIB_DIR, else what pkg-config says. Programs look there, too, when they run.
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=DIFFEO_LIB_DIR");
    let folder = std::env::var("DIFFEO_LIB_DIR").ok().or_else(|| {
        let said = Command::new("pkg-config").args(["--variable=libdir", "diffeo"]).output().ok()?;
        Some(String::from_utf8(said.stdout).ok()?.trim().to_string())
    });
    if let Some(folder) = folder.filter(|folder| !folder.is_empty()) {
        println!("cargo:rustc-link-search=native={folder}");
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
