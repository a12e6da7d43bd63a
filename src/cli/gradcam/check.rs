//! `dermai gradcam --check`.
