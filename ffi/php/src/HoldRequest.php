<?php

declare(strict_types=1);

namespace Stockade;

/**
 * One request of {@see Client::createHoldBatch()}, with the arguments of
 * {@see Client::createHold()}. The call checks them.
 */
final class HoldRequest
{
    /**
     * @param int|string|float|bool $productId the product: its id, or "sku:" and its SKU
     * @param int|string|float|bool $quantity units requested
     * @param int|float|string|bool|null $ttl the time to live in seconds; null for the setting hold_ttl
     * @param ?string $key the idempotency key: a repeated key replays the first response
     * @param ?string $customer as in createHold()
     * @param bool $atMost as in createHold()
     * @param array<string, mixed>|string|null $metadata what the shop keeps with the hold
     */
    public function __construct(
        public readonly int|string|float|bool $productId,
        public readonly int|string|float|bool $quantity,
        public readonly int|float|string|bool|null $ttl = null,
        public readonly ?string $key = null,
        public readonly ?string $customer = null,
        public readonly bool $atMost = false,
        public readonly array|string|null $metadata = null,
    ) {
    }
}
