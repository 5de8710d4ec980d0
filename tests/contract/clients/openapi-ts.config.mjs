// Node wants the names of files whole.
export default {
  input: process.env.DESCRIPTION,
  output: { path: "src/hey", importFileExtension: ".js" },
  plugins: ["@hey-api/client-fetch", "@hey-api/typescript", "@hey-api/sdk"],
};
