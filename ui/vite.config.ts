import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/**
 * What the built page may load: its own files and its own engine, nothing else.
 * Only in the build, because the development server injects its styles inline.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function contentSecurityPolicy(): Plugin {
  return {
    name: 'content-security-policy',
    apply: 'build',
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
    ],
  };
}

export default defineConfig({
  // Relative addresses: the same build is served on loopback and inside the app shell.
  base: './',
  plugins: [svelte(), contentSecurityPolicy()],
  // An inlined image would be a data: address, which the policy above forbids.
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/api': process.env['OFMON_ENGINE'] ?? 'http://127.0.0.1:7373' } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
