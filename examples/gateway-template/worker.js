// The gateway is configured, not programmed: edgeward.json says what it does.
import { gateway } from "edgeward/gateway";
import config from "./edgeward.json";

export default gateway(config);
