<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A payment failed that had succeeded: the order stays paid. */
final class PaymentConflict extends Message
{
}
