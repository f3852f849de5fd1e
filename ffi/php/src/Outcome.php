<?php

declare(strict_types=1);

namespace Stockade;

/**
 * The outcome of a payment.
 */
enum Outcome: string
{
    case Success = 'success';
    /** An attempt to pay failed. */
    case Failure = 'failure';
    /** The payment ended without money. */
    case Cancelled = 'cancelled';
    /** The payment goes on; nothing says yet how it ends. */
    case Neutral = 'neutral';
    /** The customer disputes the payment: an event tells of it, and nothing else changes. */
    case Disputed = 'disputed';
}
