// Both kinds of modules from the same sources: `import` gets dist/esm, `require` gets dist/cjs.
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
for (const [kind, type, module] of [
  ["esm", "module", "NodeNext"],
  ["cjs", "commonjs", "CommonJS"],
]) {
  const folder = `dist/${kind}`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, `${JSON.stringify({ type })}\n`);
  const resolution = kind === "esm" ? "NodeNext" : "Node10";
  const options = ["--module", module, "--moduleResolution", resolution, "--outDir", folder];
  execFileSync("node_modules/.bin/tsc", ["--project", "tsconfig.json", ...options], {
    stdio: "inherit",
  });
}
