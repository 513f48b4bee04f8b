// Runs before everything, on whatever Node there is, so that an old one gets a sentence and not a syntax error.
const [major] = process.versions.node.split('.').map(Number)
if (major < 26) {
  process.stderr.write(
    `AuthGate needs Node 26 and this is ${process.versions.node}. Run "npm ci": it brings Node 26 along` +
      ' (optional dependencies must not be omitted; on other platforms than Linux, macOS on ARM and Windows x64 install Node 26 yourself).\n',
  )
  process.exit(1)
}
