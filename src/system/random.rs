//! Unpredictable random numbers.

use anyhow::{Result, anyhow};
use ring::rand::{SecureRandom, SystemRandom};

/// Fills a buffer.
pub fn fill(buffer: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(buffer).map_err(|_| anyhow!("the system has no random numbers"))
}

/// `N` random bytes as twice as many hexadecimal digits.
pub fn hex<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(super::hex::hex(bytes))
}

/// A factor between 0.5 and 1.5, so that retries of many processes do not coincide.
pub fn jitter() -> f64 {
    let mut byte = [128];
    // Missing random numbers only mean that there is no jitter.
    drop(fill(&mut byte));
    0.5 + f64::from(byte[0]) / 255.0
}
