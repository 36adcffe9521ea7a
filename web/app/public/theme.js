// Runs before anything is drawn, so that a chosen theme does not flash into the other one.
try {
  const theme = localStorage.getItem("bobchat.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is forbidden: the system's theme it is.
}
