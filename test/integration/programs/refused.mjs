/** Asks for checkpoints of itself and prints how that went: `node refused.mjs MODULE OPTIONS-AS-JSON…` */
const [module, ...asked] = process.argv.slice(2);
const { checkpointSelf } = await import(module);
for (const options of asked) {
  try {
    console.log(await checkpointSelf(JSON.parse(options)));
  } catch (error) {
    console.log(`${error.name} ${error.code}: ${error.message}`);
  }
}
