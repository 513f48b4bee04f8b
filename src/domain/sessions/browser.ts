/**
 * Reads a browser's family and platform out of a User-Agent. Versions are left out on purpose: the result is
 * part of the session's fingerprint, and an update must sign nobody out.
 */

/** First match wins: many browsers name the ones they descend from. */
const browsers: readonly [RegExp, string][] = [
  [/\bEdgA?(iOS)?\//, 'Edge'],
  [/\bOPR\/|\bOpera/, 'Opera'],
  [/\bVivaldi\//, 'Vivaldi'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bFxiOS\/|\bFirefox\//, 'Firefox'],
  [/\bCriOS\/|\b(Headless)?Chrom(e|ium)\//, 'Chrome'],
  [/\bVersion\/[\d.]+.*\bSafari\//, 'Safari'],
  [/\bcurl\//, 'curl'],
]

const platforms: readonly [RegExp, string][] = [
  [/\bAndroid\b/, 'Android'],
  [/\biPad\b/, 'iPadOS'],
  [/\biPhone\b|\biPod\b/, 'iOS'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
]

export interface BrowserName {
  readonly browser: string
  readonly platform: string
}

export function nameBrowser(userAgent: string): BrowserName {
  // Longer than any real one; keeps hostile headers from costing time.
  const text = userAgent.slice(0, 512)
  const first = (list: readonly [RegExp, string][], otherwise: string) =>
    list.find(([pattern]) => pattern.test(text))?.[1] ?? otherwise
  return {
    browser: first(browsers, 'Unknown browser'),
    platform: first(platforms, 'unknown platform'),
  }
}
