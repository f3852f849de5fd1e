<?php

declare(strict_types=1);

namespace Stockade\Laravel\Events;

/** Money or units of a paid order were refunded. */
final class OrderRefunded extends Message
{
}
