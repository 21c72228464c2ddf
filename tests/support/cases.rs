//! Serialized cases of the RSA operation, run in WebAssembly by `tests/kernels/cases.mjs`.
//!
//! A case is a kind (0: s^e mod n; else 1 + 2·scheme + verdict) and four strings, each preceded by its length in four octets,
//! little-endian: n, e, s and the expected result; or n, e, message and signature.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use edgeward_rsa::{Hash, Scheme};

/// The schemes, in the order of their numbers.
const SCHEMES: [Scheme; 6] = [
    Scheme::Pkcs1v15(Hash::Sha256),
    Scheme::Pkcs1v15(Hash::Sha384),
    Scheme::Pkcs1v15(Hash::Sha512),
    Scheme::Pss(Hash::Sha256),
    Scheme::Pss(Hash::Sha384),
    Scheme::Pss(Hash::Sha512),
];

/// Appends a case.
pub(crate) fn write(out: &mut impl Write, kind: u8, strings: [&[u8]; 4]) -> std::io::Result<()> {
    out.write_all(&[kind])?;
    for string in strings {
        out.write_all(&u32::try_from(string.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        out.write_all(string)?;
    }
    Ok(())
}

/// A file of cases with their verdicts, in the folder named by the environment variable `EDGEWARD_CASES`. Without it, cases are
/// discarded.
pub(crate) struct Cases(Option<BufWriter<File>>);

impl Cases {
    /// Begins the file.
    pub(crate) fn begin(name: &str) -> Self {
        let folder = std::env::var_os("EDGEWARD_CASES").map(PathBuf::from);
        Self(folder.map(|folder| BufWriter::new(File::create(folder.join(name)).unwrap())))
    }

    /// Records whether a signature was accepted.
    pub(crate) fn verdict(
        &mut self,
        scheme: Scheme,
        accepted: bool,
        [n, e]: [&[u8]; 2],
        message: &[u8],
        signature: &[u8],
    ) {
        let Some(file) = &mut self.0 else { return };
        let scheme = SCHEMES.iter().position(|one| *one == scheme).unwrap();
        let kind = u8::try_from(1 + 2 * scheme).unwrap() + u8::from(accepted);
        write(file, kind, [n, e, message, signature]).unwrap();
    }

    /// Ends the file.
    pub(crate) fn end(self) {
        if let Some(mut file) = self.0 {
            file.flush().unwrap();
        }
    }
}
