// The gateway is configured, not programmed: see edgeward.json.
import { gateway } from "edgeward/gateway";
import config from "./edgeward.json";

export default gateway(config);
