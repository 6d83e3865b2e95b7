"""Shop platforms: raw payloads in, domain orders out."""
