/**
 * A client of a Stockade server, typed by its OpenAPI document.
 *
 * @packageDocumentation
 */
export {
    type EventOptions,
    type ListCall,
    type PaymentEvent,
    type PaymentResult,
    Stockade,
    type StockadeEvent,
    type StockadeOptions,
} from "./client.js";
export {
    type ErrorCode,
    type ErrorDetails,
    isStockadeError,
    type Problem,
    StockadeError,
} from "./error.js";
export type { Calls } from "./generated/calls.js";
export type { components, operations, paths } from "./generated/schema.js";
export type { HoldLineAnswer, HoldLineRequest } from "./hold-batch.js";
export type { Args, CallOptions, Result } from "./operation.js";
export { signWebhook, verifyWebhook } from "./signature.js";
export type { TransportOptions } from "./transport.js";
