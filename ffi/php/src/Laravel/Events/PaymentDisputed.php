<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** A buyer disputes a payment; the order stays as it is. */
final class PaymentDisputed extends Message
{
}
