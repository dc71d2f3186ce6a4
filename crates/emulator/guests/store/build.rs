//! Names the linker script: where the program and its stack lie.

fn main() {
    let folder =
        std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder of the package");
    println!("cargo::rustc-link-arg-bins=-T{folder}/guest.ld");
    println!("cargo::rerun-if-changed=guest.ld");
}
