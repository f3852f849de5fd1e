<?php

declare(strict_types=1);

namespace Stockade;

use Stockade\Exception\InvalidArgument;

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

    /** The statuses that the engine reads, in any case. */
    private const WORDS = [
        'success' => self::Success,
        'succeeded' => self::Success,
        'paid' => self::Success,
        'completed' => self::Success,
        'captured' => self::Success,
        'failed' => self::Failure,
        'failure' => self::Failure,
        'declined' => self::Failure,
        'refused' => self::Failure,
        'cancelled' => self::Cancelled,
        'canceled' => self::Cancelled,
        'expired' => self::Cancelled,
        'voided' => self::Cancelled,
        'neutral' => self::Neutral,
        'pending' => self::Neutral,
        'processing' => self::Neutral,
        'authorized' => self::Neutral,
        'authorised' => self::Neutral,
        'requires_action' => self::Neutral,
        'requires_confirmation' => self::Neutral,
        'requires_capture' => self::Neutral,
        'created' => self::Neutral,
        'open' => self::Neutral,
        'disputed' => self::Disputed,
        'chargeback' => self::Disputed,
    ];

    /**
     * The outcome that a payment status means, as providers write it.
     *
     * @throws InvalidArgument for a status that is not known
     */
    public static function fromStatus(string $status): self
    {
        preg_match('/^.{0,40}/su', $status, $start);
        $shown = addcslashes($start[0] ?? '', "\0..\37\177");
        $known = implode(', ', array_keys(self::WORDS));
        return self::WORDS[strtolower($status)]
            ?? throw InvalidArgument::because("unknown payment status `{$shown}`; known are {$known}");
    }
}
