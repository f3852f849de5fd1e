<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A payment has another amount or currency than its order. */
final class PaymentAmountMismatch extends Message
{
}
