<?php

declare(strict_types=1);

use App\Jobs\ExpireHolds;
use Illuminate\Support\Facades\Schedule;

Schedule::job(new ExpireHolds())->everySecond();
