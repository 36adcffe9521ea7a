import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    // Browsers that know light-dark() and oklch() (2024).
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The server's content security policy lets nothing be inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // `npm run dev` beside a running server.
  server: { host: "127.0.0.1", proxy: { "/api": { target: SERVER, ws: true } } },
});
