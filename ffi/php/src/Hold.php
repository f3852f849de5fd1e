<?php

declare(strict_types=1);

namespace Stockade;

use DateTimeImmutable;

/**
 * Stock reserved for one buyer for a short time.
 */
final class Hold
{
    /**
     * @param int $id the hold's id
     * @param int $productId the product
     * @param int $quantity units reserved
     * @param HoldStatus $status its status
     * @param DateTimeImmutable $expiresAt expired from this moment on; UTC
     * @param DateTimeImmutable $createdAt when it was created; UTC
     * @param string $token an unguessable token that authorizes using the hold; '' but in the answer that
     *     makes it
     * @param bool $replayed whether this replays the first response of the idempotency key
     * @param ?int $orderId the order that a converted hold became, if the hold was read
     * @param ?int $cartId the cart that it was created with; null for a lone hold
     * @param ?string $sku the product's SKU
     * @param ?string $customer the customer that it was created for, if the hold was created or read
     * @param ?array<string, mixed> $metadata what the shop keeps with it, if the hold was created or read
     */
    public function __construct(
        public readonly int $id,
        public readonly int $productId,
        public readonly int $quantity,
        public readonly HoldStatus $status,
        public readonly DateTimeImmutable $expiresAt,
        public readonly DateTimeImmutable $createdAt,
        public readonly string $token,
        public readonly bool $replayed,
        public readonly ?int $orderId = null,
        public readonly ?int $cartId = null,
        public readonly ?string $sku = null,
        public readonly ?string $customer = null,
        public readonly ?array $metadata = null,
    ) {
    }
}
