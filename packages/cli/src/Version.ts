/**
 * The version of this package: what `--version` prints and an agent writes into its file. A test holds it to `package.json`, which a bundle
 * does not carry.
 */
export const version = "0.1.0"
