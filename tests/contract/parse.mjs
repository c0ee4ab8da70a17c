// Reads an AsyncAPI document with the official parser: node parse.mjs FILE
// Prints what it finds wrong, one line each, and exits 1 if any of it is an error or a warning.
import { DiagnosticSeverity, Parser, fromFile } from "@asyncapi/parser";

const { document, diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
for (const { severity, code, message, path } of diagnostics) {
  console.log(`${DiagnosticSeverity[severity]} ${code} at ${path.join(".")}: ${message}`);
}
const isSound = document && diagnostics.every(({ severity }) => severity > DiagnosticSeverity.Warning);
process.exitCode = isSound ? 0 : 1;
