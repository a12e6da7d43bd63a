//! The methods, one small file each, which supplies only its weights; here is what they share.
