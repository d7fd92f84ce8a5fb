"""Icons, fonts, translations and other files that travel with Backstep."""
