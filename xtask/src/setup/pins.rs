//! The pinned archives and the library inside each: the one table that says what may be installed.
//!
//! 1.28.0 is the last release whose official builds carry no telemetry. npm skipped it, so there it is 1.27.0, a larger
//! build (one package for all platforms, with WebGPU).

use super::digest::Pin;
use super::fetch::Registry;

/// A library inside an archive that a package client can fetch.
#[derive(Clone, Copy)]
pub struct Release {
    /// `os-arch`, the name of the folder that the library goes to.
    pub platform: &'static str,
    /// Version of ONNX Runtime.
    pub version: &'static str,
    /// Which client fetches it, and with what.
    pub registry: Registry,
    /// The archive as it is downloaded.
    pub archive: Pin,
    /// Path of the library inside the archive.
    pub member: &'static str,
    /// Name of the library once installed.
    pub library: &'static str,
    /// The library itself.
    pub pin: Pin,
}

/// Texts that go beside the library, as the archive has them: path inside it and name once installed.
pub const TEXTS: [(&str, &str); 2] =
    [("onnxruntime/LICENSE", "LICENSE"), ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt")];

/// Everything that may be installed; of several for a platform the earlier is preferred.
pub const RELEASES: [Release; 8] = [
    wheel(
        "linux-x86_64",
        "manylinux_2_27_x86_64",
        Pin::new(19_214_257, "0a83bdb70d143cede762b677789bf2a7acca54b3fb82565601d5c30695aa933c"),
        ("onnxruntime/capi/libonnxruntime.so.1.28.0", "libonnxruntime.so.1.28.0"),
        Pin::new(24_272_944, "aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083"),
    ),
    wheel(
        "linux-aarch64",
        "manylinux_2_27_aarch64",
        Pin::new(17_050_628, "4e81a23df16e7acb9d51b06d30cc098e49315ef9180f97bc2221d167b4b04d9c"),
        ("onnxruntime/capi/libonnxruntime.so.1.28.0", "libonnxruntime.so.1.28.0"),
        Pin::new(20_657_248, "23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d"),
    ),
    wheel(
        "macos-aarch64",
        "macosx_14_0_arm64",
        Pin::new(19_141_362, "26ff0fdd06efb6c155bae95387a09db1a2be89c7a03e4d0bffd5a171cc2826da"),
        ("onnxruntime/capi/libonnxruntime.1.28.0.dylib", "libonnxruntime.1.28.0.dylib"),
        Pin::new(30_509_592, "cadd9517e089d197e5d381bc31813875eb8addce8712bac501645fea8008800c"),
    ),
    wheel(
        "windows-x86_64",
        "win_amd64",
        Pin::new(13_755_036, "c35064f9b3c43c81c5d5d282091401d0f1ff22796d93ccade4ea2ece5e137ab8"),
        ("onnxruntime/capi/onnxruntime.dll", "onnxruntime.dll"),
        Pin::new(17_766_752, "3d6bd02dc137b9a1dfdac045a52b147ffb920bb06ab812b08fc8e14279859855"),
    ),
    npm(
        "linux-x86_64",
        ("package/bin/napi-v6/linux/x64/libonnxruntime.so.1", "libonnxruntime.so.1.27.0"),
        Pin::new(38_023_776, "d8aff4aa8abee8fb2abb2f2f2459ffc94461e781e41b9f7c072829dd0d470221"),
    ),
    npm(
        "linux-aarch64",
        ("package/bin/napi-v6/linux/arm64/libonnxruntime.so.1", "libonnxruntime.so.1.27.0"),
        Pin::new(20_001_880, "c36bc200e7e6c093b8abb0b34590fbdd8c52fd3fb5e33795b9523ffdde2fce0f"),
    ),
    npm(
        "macos-aarch64",
        ("package/bin/napi-v6/darwin/arm64/libonnxruntime.1.27.0.dylib", "libonnxruntime.1.27.0.dylib"),
        Pin::new(38_800_984, "89f692a3a1a224e4ad0b796b0e7c0bd81113b0741bfe84211eceef14d05a9e59"),
    ),
    npm(
        "windows-x86_64",
        ("package/bin/napi-v6/win32/x64/onnxruntime.dll", "onnxruntime.dll"),
        Pin::new(26_011_960, "273f9ef9cf755c6a0f342226a80448156c10ceb74db2ae8c8370dc98e75af0eb"),
    ),
];

/// A row of the table for a Python wheel of 1.28.0.
const fn wheel(
    platform: &'static str,
    tag: &'static str,
    archive: Pin,
    (member, library): (&'static str, &'static str),
    pin: Pin,
) -> Release {
    let registry = Registry::Pip { package: "onnxruntime==1.28.0", tag };
    Release { platform, version: "1.28.0", registry, archive, member, library, pin }
}

/// A row of the table for the npm package of 1.27.0, which is one archive for all platforms.
const fn npm(platform: &'static str, (member, library): (&'static str, &'static str), pin: Pin) -> Release {
    let registry = Registry::Npm { package: "onnxruntime-node@1.27.0" };
    let archive = Pin::new(100_893_124, "c3779c01c59832f8c03e2c392ac3af10bf08579f1822e8b1c63cc451edb302a2");
    Release { platform, version: "1.27.0", registry, archive, member, library, pin }
}

#[cfg(test)]
mod tests {
    use super::RELEASES;

    #[test]
    fn every_platform_has_both_ways_and_the_newer_runtime_first() {
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64", "windows-x86_64"] {
            let rows = RELEASES.iter().filter(|row| row.platform == platform);
            let versions: Vec<_> = rows.map(|row| row.version).collect();
            assert_eq!(versions, ["1.28.0", "1.27.0"], "{platform}");
        }
    }
}
