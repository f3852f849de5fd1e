<?php

declare(strict_types=1);

namespace Stockade;

/**
 * Where an order stands.
 */
enum OrderStatus: string
{
    case PendingPayment = 'pending_payment';
    case Paid = 'paid';
    case Cancelled = 'cancelled';
}
