<?php

declare(strict_types=1);

namespace Stockade;

/**
 * The holds of a cart, by ascending product id.
 */
final class Cart
{
    /**
     * @param int $id the smallest id of its holds
     * @param string $token an unguessable token that authorizes using the cart and each of its holds;
     *     '' but in the answer that makes it
     * @param list<Hold> $holds one hold per product
     * @param bool $replayed whether this replays the first response of the idempotency key
     */
    public function __construct(
        public readonly int $id,
        public readonly string $token,
        public readonly array $holds,
        public readonly bool $replayed,
    ) {
    }
}
