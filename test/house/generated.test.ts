import { expect, it } from 'vitest'
import { generatedFiles, readRepositoryFile } from '../../docs/generate.ts'

for (const [path, content] of generatedFiles()) {
  it(`${path} says what the code says (npm run docs)`, () => {
    expect(readRepositoryFile(path)).toBe(content)
  })
}
