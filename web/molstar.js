// What the page needs of Mol*: the engine without its panels. The package's own prebuilt viewer also
// holds an encoder of films that runs `new Function` when it is loaded, which the page's content
// policy forbids, and is twice as large.

export { StructureElement, StructureProperties } from "molstar/lib/mol-model/structure.js";
export { PluginBehaviors } from "molstar/lib/mol-plugin/behavior.js";
export { StructureFocusRepresentation } from "molstar/lib/mol-plugin/behavior/dynamic/selection/structure-focus-representation.js";
export { PluginContext } from "molstar/lib/mol-plugin/context.js";
export { PluginSpec } from "molstar/lib/mol-plugin/spec.js";
